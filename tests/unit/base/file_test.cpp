#include "consign/base/file.hpp"
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace consign;
namespace fs = std::filesystem;

namespace {

std::size_t entries(const fs::path& directory) {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
}
mode_t mode_of(const fs::path& path) {
    struct stat status{};
    ::stat(path.c_str(), &status);
    return status.st_mode & 0777;
}

} // namespace

TEST_CASE("an atomic write replaces the content, sets the mode and leaves nothing else behind") {
    const auto directory = TemporaryDirectory::make("file").value();
    const auto path = directory.path() / "key";
    REQUIRE(write_file_atomic(path, "old", 0600));
    CHECK(mode_of(path) == 0600);
    REQUIRE(write_file_atomic(path, "new and longer", 0600));
    CHECK(read_file(path) == "new and longer");
    CHECK(entries(directory.path()) == 1);
}

TEST_CASE("a failed atomic write keeps the old content and removes its temporary file") {
    const auto directory = TemporaryDirectory::make("file").value();
    const auto taken = directory.path() / "taken"; // a directory that is not empty cannot be renamed over
    REQUIRE(make_directories(taken / "inside"));
    const auto written = write_file_atomic(taken, "text");
    REQUIRE_FALSE(written);
    CHECK(written.error().message.find(taken.string()) != std::string::npos);
    CHECK(entries(directory.path()) == 1);

    const auto nowhere = write_file_atomic(directory.path() / "missing" / "file", "text");
    CHECK(nowhere.error().code == Code::not_found);
}

TEST_CASE("a full disk is told apart from other failures") {
    const auto full = open_file("/dev/full", O_WRONLY);
    REQUIRE(full);
    const auto written = write_all(full->get(), as_bytes("text"), "/dev/full");
    REQUIRE_FALSE(written);
    CHECK(written.error().code == Code::storage_full);
    CHECK_FALSE(written.error().hint.empty());
}

TEST_CASE("reading is bounded and names the file") {
    const auto directory = TemporaryDirectory::make("file").value();
    const auto path = directory.path() / "ten";
    REQUIRE(write_file_atomic(path, "0123456789"));
    CHECK(read_file(path, 10) == "0123456789");
    CHECK(read_file(path, 9).error().code == Code::too_large);
    CHECK(read_file("/proc/self/stat")->size() > 10); // its size is said to be 0
    const auto missing = read_file(directory.path() / "missing");
    CHECK(missing.error().code == Code::not_found);
    CHECK(missing.error().message.find("missing") != std::string::npos);
    CHECK_FALSE(read_file(directory.path()));
}

TEST_CASE("a large file survives the round trip") {
    const auto directory = TemporaryDirectory::make("file").value();
    std::string text(3'000'000, 'x');
    text[1'234'567] = '\0';
    REQUIRE(write_file_atomic(directory.path() / "large", text));
    CHECK(read_file(directory.path() / "large") == text);
}

TEST_CASE("directories are made with all their parents, and only where no file is in the way") {
    const auto directory = TemporaryDirectory::make("file").value();
    const auto deep = directory.path() / "a" / "b" / "c";
    REQUIRE(make_directories(deep, 0700));
    CHECK(mode_of(deep) == 0700);
    CHECK(mode_of(deep.parent_path()) == 0700);
    CHECK(make_directories(deep));
    REQUIRE(write_file_atomic(directory.path() / "file", "text"));
    CHECK_FALSE(make_directories(directory.path() / "file"));
    CHECK_FALSE(make_directories(directory.path() / "file" / "below"));
}

TEST_CASE("removing a tree does not follow symlinks") {
    const auto directory = TemporaryDirectory::make("file").value();
    const auto keep = directory.path() / "keep";
    const auto tree = directory.path() / "tree";
    REQUIRE(make_directories(keep));
    REQUIRE(write_file_atomic(keep / "precious", "text"));
    REQUIRE(make_directories(tree / "sub"));
    fs::create_directory_symlink(keep, tree / "sub" / "link");
    fs::create_symlink(keep / "precious", tree / "file_link");
    REQUIRE(remove_tree(tree));
    CHECK_FALSE(fs::exists(tree));
    CHECK(read_file(keep / "precious") == "text");

    fs::create_directory_symlink(keep, directory.path() / "top_link");
    REQUIRE(remove_tree(directory.path() / "top_link"));
    CHECK(fs::exists(keep / "precious"));
    CHECK(remove_tree(directory.path() / "never there"));
}

TEST_CASE("free space is known where the path is") {
    CHECK(free_bytes("/").value() > 0);
    CHECK(free_bytes("/never/there").error().code == Code::not_found);
}

TEST_CASE("a second lock of a directory is refused, naming the process that has it") {
    const auto directory = TemporaryDirectory::make("file").value();
    int ready[2];
    int done[2];
    REQUIRE((::pipe(ready) == 0 && ::pipe(done) == 0));
    const pid_t child = ::fork();
    if (child == 0) {
        const auto lock = DirectoryLock::acquire(directory.path());
        char byte = lock ? 'y' : 'n';
        ::close(done[1]); // or our own copy would keep the read below from ending
        if (::write(ready[1], &byte, 1) == 1) (void)::read(done[0], &byte, 1);
        ::_exit(0);
    }
    ::close(done[0]);
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    REQUIRE(byte == 'y');
    const auto refused = DirectoryLock::acquire(directory.path());
    ::close(done[1]);
    ::waitpid(child, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::conflict);
    CHECK(refused.error().message.find("process " + std::to_string(child)) != std::string::npos);

    const auto lock = DirectoryLock::acquire(directory.path()); // its holder is gone
    REQUIRE(lock);
    CHECK(read_file(directory.path() / "lock") == std::to_string(::getpid()) + "\n");
    CHECK(DirectoryLock::acquire(directory.path()).error().code == Code::conflict);
}

TEST_CASE("a lock ends with its owner") {
    const auto directory = TemporaryDirectory::make("file").value();
    {
        REQUIRE(DirectoryLock::acquire(directory.path()));
    }
    CHECK(DirectoryLock::acquire(directory.path()));
    CHECK(DirectoryLock::acquire(directory.path() / "missing").error().code == Code::not_found);
}

TEST_CASE("a temporary directory disappears with all its content") {
    fs::path path;
    {
        auto directory = TemporaryDirectory::make("file").value();
        path = directory.path();
        CHECK(mode_of(path) == 0700);
        REQUIRE(make_directories(path / "a" / "b"));
        const TemporaryDirectory moved = std::move(directory);
        CHECK(fs::exists(moved.path()));
    }
    CHECK_FALSE(fs::exists(path));
    CHECK(TemporaryDirectory::make("file", "/never/there").error().code == Code::not_found);
}

TEST_CASE("a descriptor is closed once, by its last owner") {
    int number = -1;
    {
        Fd first = open_file("/dev/null", O_RDONLY).value();
        number = first.get();
        CHECK((::fcntl(number, F_GETFD) & FD_CLOEXEC) != 0);
        Fd second = std::move(first);
        CHECK_FALSE(first); // NOLINT(bugprone-use-after-move)
        CHECK(second.get() == number);
    }
    CHECK(::fcntl(number, F_GETFD) == -1);
}
