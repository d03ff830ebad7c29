#pragma once
// Wakes parked polls. A pool's parked polls stand in a line; n new jobs wake n of them, not all: the others
// would only find an empty queue. Any thread.
#include "directory.hpp"
#include <deque>

namespace consign::ims {

class Dispatcher {
  public:
    /// A poll's place in the line of its pool. enter() before each look for work, or a job that comes in
    /// between is missed. One that was woken and leaves without a look (the peer hung up, a newer poll came)
    /// hands the wake-up on.
    class Place {
      public:
        Place(Dispatcher& dispatcher, Presence& presence); ///< which outlives it
        ~Place();
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;
        void enter();    ///< stands in the line (again)
        void answered(); ///< the look that a wake-up was for was made
        /// Stands in no line: this poll can take nothing now, and a wake-up spent on it would be lost.
        void leave();

      private:
        friend class Dispatcher;
        Dispatcher& dispatcher_;
        Presence& presence_;
        bool queued_ = false, woken_ = false; ///< guarded by the dispatcher's mutex
    };

    void wake(const Pool& pool, int jobs);
    /// Whether jobs came for which no poll stood in line: who asks for work now need not look first whether
    /// there is any. A hint, and no more.
    bool has_backlog(const Pool& pool);
    void no_backlog(const Pool& pool); ///< somebody asked for more than there was

  private:
    std::mutex mutex_;
    std::map<Pool, std::deque<Place*>> parked_;
    std::set<Pool> backlog_;
};

} // namespace consign::ims
