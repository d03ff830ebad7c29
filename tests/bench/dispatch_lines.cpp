// The client's side of beanstalkd's and Redis's connections.
#include "dispatch.hpp"
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

namespace bench {
namespace {

namespace asio = boost::asio;
constexpr auto kTuple = asio::as_tuple(net::use_async);
constexpr std::string_view kEnd = "\r\n";

std::unexpected<Error> broken(std::string_view doing, const boost::system::error_code& error) {
    return fail(Code::unavailable, std::string(doing) + ": " + error.message());
}

} // namespace

net::Async<Result<void>> LineConnection::connect(std::uint16_t port) {
    const asio::ip::tcp::endpoint endpoint(asio::ip::address_v4::loopback(), port);
    boost::system::error_code last;
    for (int i = 0; i < 1000; ++i) {
        const auto [error] = co_await socket_.async_connect(endpoint, kTuple);
        if (!error) {
            boost::system::error_code ignored;
            socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
            co_return Result<void>{};
        }
        last = error;
        socket_.close();
        co_await net::sleep_for(std::chrono::milliseconds(10));
    }
    co_return broken("connect", last);
}

net::Async<Result<void>> LineConnection::send(std::string_view text) {
    const auto [error, size] = co_await asio::async_write(socket_, asio::buffer(text), kTuple);
    if (error) co_return broken("send", error);
    co_return Result<void>{};
}

net::Async<Result<void>> LineConnection::read_some() {
    if (taken_ == received_.size()) { // the usual case: the answer before was taken whole
        received_.clear();
        taken_ = 0;
    }
    constexpr std::size_t kPiece = 4096;
    const auto had = received_.size();
    received_.resize(had + kPiece);
    const auto [error, size] =
        co_await socket_.async_read_some(asio::buffer(received_.data() + had, kPiece), kTuple);
    received_.resize(had + size);
    if (error) co_return broken("receive", error);
    co_return Result<void>{};
}

std::string LineConnection::take(std::size_t size) {
    auto text = received_.substr(taken_, size);
    taken_ += size + kEnd.size();
    return text;
}

net::Async<Result<std::string>> LineConnection::line() {
    for (;;) {
        if (const auto end = received_.find(kEnd, taken_); end != std::string::npos)
            co_return take(end - taken_);
        CONSIGN_CO_CHECK(co_await read_some());
    }
}

net::Async<Result<std::string>> LineConnection::bytes(std::size_t size) {
    while (received_.size() - taken_ < size + kEnd.size()) CONSIGN_CO_CHECK(co_await read_some());
    co_return take(size);
}

std::vector<std::unique_ptr<LineConnection>> connect_all(net::IoThread& io, std::uint16_t port,
                                                         std::size_t count) {
    std::vector<std::unique_ptr<LineConnection>> all;
    for (std::size_t i = 0; i < count; ++i) {
        all.push_back(std::make_unique<LineConnection>(io.executor()));
        need(io.run(all.back()->connect(port)), "connect");
    }
    return all;
}

} // namespace bench
