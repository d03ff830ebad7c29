#include "store/work_queue.hpp"
#include <catch2/catch.hpp>
#include <thread>

using namespace consign;
using namespace consign::store;

namespace {

using Queue = WorkQueue<std::function<void()>>;

struct Answers {
    std::vector<Result<void>> got;
    Completion next() {
        return [this](Result<void> outcome) { got.push_back(std::move(outcome)); };
    }
};

} // namespace

TEST_CASE("work waits in line, and is refused beyond the limit", "[store]") {
    Queue queue(2, "reads");
    Answers answers;
    std::string ran;
    CHECK(queue.idle_for(std::chrono::milliseconds(0)));
    for (const char* name : {"a", "b", "c"}) queue.push([&ran, name] { ran += name; }, answers.next());
    CHECK_FALSE(queue.idle_for(std::chrono::milliseconds(0)));
    REQUIRE(answers.got.size() == 1); // "c", and at once
    CHECK(answers.got[0].error().code == Code::rate_limited);
    CHECK(answers.got[0].error().message == "the database has 2 reads waiting");
    CHECK(answers.got[0].error().hint == "try again in a moment");

    auto first = queue.take(1);
    REQUIRE(first.size() == 1);
    queue.push([&ran] { ran += "d"; }, answers.next()); // there is room again
    auto rest = queue.take(10);
    REQUIRE(rest.size() == 2);
    for (auto* jobs : {&first, &rest})
        for (auto& job : *jobs) {
            job.work();
            job.finish();
        }
    CHECK(ran == "abd");
    CHECK(answers.got.size() == 4);
    CHECK(queue.idle_for(std::chrono::milliseconds(0)));
}

TEST_CASE("what a closure holds dies before its caller goes on", "[store]") {
    Queue queue(1, "writes");
    const auto held = std::make_shared<int>(7);
    bool answered = false;
    queue.push([held] {},
               [&](Result<void>) {
                   CHECK(held.use_count() == 1);
                   answered = true;
               });
    auto jobs = queue.take(1);
    CHECK(held.use_count() == 2);
    jobs.front().finish();
    CHECK(answered);
}

TEST_CASE("a closed queue hands out what it has, then nothing, and takes no more", "[store]") {
    Queue queue(10, "reads");
    Answers answers;
    queue.push([] {}, answers.next());
    std::thread waiter([&] {
        while (!queue.take(1).empty()) {
        }
    });
    queue.close(); // wakes whoever waits
    waiter.join();
    queue.push([] {}, answers.next());
    REQUIRE(answers.got.size() == 1);
    CHECK(answers.got[0].error().code == Code::rate_limited);
}
