#pragma once
#include "consign/net/async.hpp"
#include <map>

namespace consign::net {

/// What a Deadline wakes. Called on the I/O thread, at most once per Deadline.
class Expirable {
  public:
    virtual void expired() = 0;

  protected:
    ~Expirable() = default;
};

/// All deadlines of one io_context behind one timer: a waiting connection pays a map node, not a timer.
class DeadlineQueue final : public asio::io_context::service {
  public:
    using key_type = DeadlineQueue;
    static inline asio::io_context::id id;
    static DeadlineQueue& of(Executor executor);

    explicit DeadlineQueue(asio::io_context& context);

  private:
    friend class Deadline;
    using Entries = std::multimap<SteadyTime, Expirable*>;
    void shutdown() noexcept override;
    Entries::iterator add(SteadyTime when, Expirable& target);
    void remove(Entries::iterator entry);
    void arm();
    void fire();

    Entries entries_;
    Timer timer_;
    SteadyTime armed_ = SteadyTime::max();
    bool stopped_ = false;
};

/// While it lives, `target.expired()` comes due at `when`. SteadyTime::max(): never.
class Deadline {
  public:
    Deadline(DeadlineQueue& queue, SteadyTime when, Expirable& target);
    ~Deadline();
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;

  private:
    class Relay final : public Expirable {
      public:
        explicit Relay(Expirable& target) : target_(target) {}
        void expired() override {
            fired = true;
            target_.expired();
        }
        bool fired = false;

      private:
        Expirable& target_;
    };
    DeadlineQueue& queue_;
    Relay relay_;
    bool armed_;
    DeadlineQueue::Entries::iterator entry_;
};

} // namespace consign::net
