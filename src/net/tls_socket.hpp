#pragma once
// The BIO between OpenSSL and a non-blocking socket. Unlike OpenSSL's own it sends with MSG_NOSIGNAL, and it
// can hold records back, so that several of them go out in one system call: a record is 16 KiB at most, and a
// call each was about a fifth of what a large pull cost.
#include "net/tls.hpp"
#include <cstddef>
#include <span>
#include <vector>

namespace consign::net {

/// Owned by the session that it was given to.
class TlsSocket {
  public:
    /// nullptr: out of memory.
    static TlsSocket* attach(SSL* ssl, int socket);

    /// While on, records are collected in held(); whoever turned it on sends them and says so with sent().
    /// What OpenSSL writes before all of them are sent stands in line behind them.
    void hold(bool on) { holding_ = on; }
    std::span<const std::byte> held() const { return std::span(held_).subspan(sent_); }
    void sent(std::size_t count);
    /// Room for records of so many bytes, until drop_room(): what is sent in many pieces makes it once, and an idle
    /// connection owns none.
    void make_room(std::size_t bytes) { held_.reserve(bytes + bytes / 64); }
    void drop_room();

  private:
    friend struct TlsSocketMethod;
    explicit TlsSocket(int socket) : socket_(socket) {}
    int socket_;
    bool holding_ = false;
    std::vector<std::byte> held_;
    std::size_t sent_ = 0;
};

} // namespace consign::net
