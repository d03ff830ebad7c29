#pragma once
#include "consign/base/file.hpp"
#include <atomic>
#include <csignal>
#include <stop_token>
#include <thread>

namespace consign::cli {

/// While it lives, Ctrl-C asks to stop instead of ending the process; a second one ends it. One at a time.
class Interrupt {
  public:
    Interrupt();
    ~Interrupt();
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;
    std::stop_token token() const { return source_.get_token(); }
    bool requested() const { return source_.stop_requested(); }

  private:
    void wait_for_signal();
    std::stop_source source_;
    Fd read_end_, write_end_;
    struct sigaction before_ = {};
    std::thread waiter_;
};

} // namespace consign::cli
