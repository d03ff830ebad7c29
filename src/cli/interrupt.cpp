#include "cli/interrupt.hpp"
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace consign::cli {
namespace {

// A handler may do almost nothing: it writes a byte, a thread reads it and requests the stop.
std::atomic<int> signal_pipe = -1;

void on_signal(int) {
    const int saved = errno;
    const char byte = 's';
    if (const int fd = signal_pipe.load(); fd >= 0) (void)!::write(fd, &byte, 1);
    errno = saved;
}

} // namespace

Interrupt::Interrupt() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return; // without it Ctrl-C ends the process, as ever
    read_end_ = Fd(ends[0]);
    write_end_ = Fd(ends[1]);
    signal_pipe = ends[1];
    waiter_ = std::thread([this] { wait_for_signal(); });
    struct sigaction action = {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND); // the second one ends the process
    ::sigaction(SIGINT, &action, &before_);
}

Interrupt::~Interrupt() {
    if (!waiter_.joinable()) return;
    ::sigaction(SIGINT, &before_, nullptr);
    signal_pipe = -1;
    const char byte = 'q';
    (void)!::write(write_end_.get(), &byte, 1);
    waiter_.join();
}

void Interrupt::wait_for_signal() {
    for (char byte = 0; byte != 'q';) {
        const auto got = ::read(read_end_.get(), &byte, 1);
        if (got == 1 && byte == 's') source_.request_stop();
        if (got == 0 || (got < 0 && errno != EINTR)) return;
    }
}

} // namespace consign::cli
