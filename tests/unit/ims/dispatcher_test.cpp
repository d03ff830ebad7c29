#include "ims/dispatcher.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::ims;

namespace {
struct Waiter {
    std::shared_ptr<Presence> presence;
    std::optional<Dispatcher::Place> place;
    std::uint64_t before = 0;
    explicit Waiter(Dispatcher& dispatcher, Pool pool = {})
        : presence(std::make_shared<Presence>(AgentId::make(Time{}), pool)),
          before(presence->mailbox.version()) {
        place.emplace(dispatcher, *presence);
        place->enter();
    }
    std::uint64_t woken() const { return presence->mailbox.version() - before; }
};
} // namespace

TEST_CASE("n jobs wake n polls, who waited longest first", "[dispatcher]") {
    Dispatcher dispatcher;
    Waiter a(dispatcher), b(dispatcher), c(dispatcher);
    dispatcher.wake({}, 2);
    CHECK(a.woken() == 1);
    CHECK(b.woken() == 1);
    CHECK(c.woken() == 0);
}

TEST_CASE("a pool's jobs wake that pool only", "[dispatcher]") {
    Dispatcher dispatcher;
    const Pool acme{InstallId::make(Time{})}, globex{InstallId::make(Time{})};
    Waiter a(dispatcher, acme), b(dispatcher, globex);
    dispatcher.wake(globex, 3);
    CHECK(a.woken() == 0);
    CHECK(b.woken() == 1);
}

TEST_CASE("a wake-up that nobody answers goes to the next in line", "[dispatcher]") {
    Dispatcher dispatcher;
    Waiter a(dispatcher), b(dispatcher);
    dispatcher.wake({}, 1);
    a.place.reset(); // its peer hung up before it looked
    CHECK(b.woken() == 1);
}

TEST_CASE("one that looks again has answered its wake-up", "[dispatcher]") {
    Dispatcher dispatcher;
    Waiter a(dispatcher), b(dispatcher);
    dispatcher.wake({}, 1);
    a.place->enter();
    a.place->answered();
    a.place.reset();
    CHECK(b.woken() == 0);
}

TEST_CASE("one that stood in the line again and could not look hands its wake-up on", "[dispatcher]") {
    Dispatcher dispatcher;
    Waiter a(dispatcher), b(dispatcher);
    dispatcher.wake({}, 1);
    a.place->enter();
    a.place.reset(); // the store was busy, or a newer poll came
    CHECK(b.woken() == 1);
}

TEST_CASE("one that can take nothing stands in no line, and hands on the wake-up it got", "[dispatcher]") {
    Dispatcher dispatcher;
    Waiter busy(dispatcher), b(dispatcher), c(dispatcher);
    dispatcher.wake({}, 1);
    CHECK(busy.woken() == 1);
    busy.place->leave(); // it looked, and has no slot
    CHECK(b.woken() == 1);
    dispatcher.wake({}, 1);
    CHECK(busy.woken() == 1);
    CHECK(c.woken() == 1);
}

TEST_CASE("jobs for which nobody stands in line are a backlog until somebody asks for more", "[dispatcher]") {
    Dispatcher dispatcher;
    CHECK_FALSE(dispatcher.has_backlog({}));
    dispatcher.wake({}, 1);
    CHECK(dispatcher.has_backlog({}));
    CHECK_FALSE(dispatcher.has_backlog(Pool{InstallId::make(Time{})}));
    dispatcher.no_backlog({});
    CHECK_FALSE(dispatcher.has_backlog({}));
    Waiter a(dispatcher);
    dispatcher.wake({}, 1);
    CHECK_FALSE(dispatcher.has_backlog({}));
    Waiter b(dispatcher);
    dispatcher.wake({}, 2);
    CHECK(dispatcher.has_backlog({}));
}
