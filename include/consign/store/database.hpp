#pragma once
#include "consign/base/bytes.hpp"
#include "consign/base/clock.hpp"
#include "consign/base/id.hpp"
#include "consign/net/async.hpp"
#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <variant>

namespace consign::store {

/// A parameter: null, integer, real, text or blob. Text and blob are borrowed for the call.
class Value {
  public:
    Value(std::nullptr_t) {}
    template <class T>
        requires std::is_integral_v<T>
    Value(T v) : data_(static_cast<std::int64_t>(v)) {}
    Value(double v) : data_(v) {}
    Value(const char* v) : data_(std::string_view(v)) {}
    Value(std::string_view v) : data_(v) {}
    Value(const std::string& v) : data_(std::string_view(v)) {}
    Value(ByteView v) : data_(v) {}
    Value(Time v) : data_(to_millis(v)) {}
    template <IdPrefix P>
    Value(const Id<P>& v) {
        if (v) data_ = std::string_view(v.str());
    }
    template <class T>
    Value(const std::optional<T>& v) {
        if (v) data_ = Value(*v).data_;
    }
    const auto& data() const { return data_; }

  private:
    std::variant<std::monostate, std::int64_t, double, std::string_view, ByteView> data_;
};

/// The current row of a query; columns from 0. Views die with the step.
class Row {
  public:
    virtual ~Row() = default;
    virtual bool is_null(int column) const = 0;
    virtual std::int64_t integer(int column) const = 0;
    virtual double real(int column) const = 0;
    virtual std::string_view text(int column) const = 0; ///< "" for null
    virtual ByteView blob(int column) const = 0;

    std::string string(int column) const { return std::string(text(column)); }
    bool boolean(int column) const { return integer(column) != 0; }
    Time time(int column) const { return from_millis(integer(column)); }
    std::optional<Time> optional_time(int column) const {
        return is_null(column) ? std::nullopt : std::optional(time(column));
    }
    template <class T>
    T id(int column) const {
        return T::trusted(string(column));
    }
};

/// What a closure sees of the database. SQL is the portable subset; parameters are $1, $2, … .
/// Statements are cached by text. Errors: conflict (a unique or foreign key), storage_full, corrupt,
/// internal.
class Connection {
  public:
    virtual ~Connection() = default;
    /// Calls `each` per row; stops early when it returns false.
    virtual Result<void> query(std::string_view sql, std::initializer_list<Value> parameters,
                               const std::function<bool(const Row&)>& each) = 0;

    /// The first row through `map`, or nothing.
    template <class F>
    auto query_one(std::string_view sql, std::initializer_list<Value> parameters, F map)
        -> Result<std::optional<std::invoke_result_t<F, const Row&>>> {
        std::optional<std::invoke_result_t<F, const Row&>> out;
        CONSIGN_CHECK(query(sql, parameters, [&](const Row& row) {
            out.emplace(map(row));
            return false;
        }));
        return out;
    }
    /// All rows through `map`.
    template <class F>
    auto query_all(std::string_view sql, std::initializer_list<Value> parameters, F map)
        -> Result<std::vector<std::invoke_result_t<F, const Row&>>> {
        std::vector<std::invoke_result_t<F, const Row&>> out;
        CONSIGN_CHECK(query(sql, parameters, [&](const Row& row) {
            out.push_back(map(row));
            return true;
        }));
        return out;
    }
};

class Transaction : public Connection {
  public:
    /// INSERT, UPDATE, DELETE: how many rows changed.
    virtual Result<std::int64_t> execute(std::string_view sql,
                                         std::initializer_list<Value> parameters = {}) = 0;
};

/// One numbered step of a schema; the text may hold many statements. Numbers start at 1, without gaps.
struct Migration {
    int number;
    std::string_view sql;
};

/// One database. Any thread may call; every call resumes its caller on the caller's own executor.
class Database {
  public:
    virtual ~Database() = default;

    /// Queues `closure(Transaction&) -> Result<T>` to the one writer thread. It runs in a savepoint; many
    /// commit together; the caller resumes after the commit is on disk. A closure that returns an error (or
    /// throws) is rolled back alone. It must not wait for anything else, and must not be a coroutine.
    template <class F>
    auto write(F closure) -> net::Async<std::invoke_result_t<F, Transaction&>> {
        using R = std::invoke_result_t<F, Transaction&>;
        auto slot = std::make_shared<std::optional<R>>();
        auto shared = std::make_shared<F>(std::move(closure));
        auto outcome = co_await submit_write([slot, shared](Transaction& tx) -> Result<void> {
            slot->emplace((*shared)(tx));
            if (!**slot) return std::unexpected((*slot)->error());
            return {};
        });
        if (!outcome) co_return std::unexpected(std::move(outcome).error());
        co_return std::move(**slot);
    }

    /// Runs `closure(Connection&) -> Result<T>` on a read-only connection of the pool, in one snapshot.
    template <class F>
    auto read(F closure) -> net::Async<std::invoke_result_t<F, Connection&>> {
        using R = std::invoke_result_t<F, Connection&>;
        auto slot = std::make_shared<std::optional<R>>();
        auto shared = std::make_shared<F>(std::move(closure));
        auto outcome = co_await submit_read([slot, shared](Connection& c) -> Result<void> {
            slot->emplace((*shared)(c));
            if (!**slot) return std::unexpected((*slot)->error());
            return {};
        });
        if (!outcome) co_return std::unexpected(std::move(outcome).error());
        co_return std::move(**slot);
    }

    /// The same from a thread that may block (start-up, tests, tools): waits for the commit.
    template <class F>
    auto write_blocking(F closure) -> std::invoke_result_t<F, Transaction&> {
        using R = std::invoke_result_t<F, Transaction&>;
        std::optional<R> slot;
        CONSIGN_CHECK(submit_write_blocking([&](Transaction& tx) -> Result<void> {
            slot.emplace(closure(tx));
            if (!*slot) return std::unexpected(slot->error());
            return {};
        }));
        return std::move(*slot);
    }
    template <class F>
    auto read_blocking(F closure) -> std::invoke_result_t<F, Connection&> {
        using R = std::invoke_result_t<F, Connection&>;
        std::optional<R> slot;
        CONSIGN_CHECK(submit_read_blocking([&](Connection& c) -> Result<void> {
            slot.emplace(closure(c));
            if (!*slot) return std::unexpected(slot->error());
            return {};
        }));
        return std::move(*slot);
    }

  protected:
    using WriteWork = std::function<Result<void>(Transaction&)>;
    using ReadWork = std::function<Result<void>(Connection&)>;
    virtual net::Async<Result<void>> submit_write(WriteWork work) = 0;
    virtual net::Async<Result<void>> submit_read(ReadWork work) = 0;
    virtual Result<void> submit_write_blocking(WriteWork work) = 0;
    virtual Result<void> submit_read_blocking(ReadWork work) = 0;
};

} // namespace consign::store
