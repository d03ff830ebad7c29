#pragma once
// A registry in memory that behaves as badly as it is told to, and remembers what it was asked.
#include "consign/net/client.hpp"
#include "consign/net/server.hpp"
#include "consign/oci/copy.hpp"
#include "consign/oci/remote.hpp"
#include "oci/source.hpp"
#include <catch2/catch.hpp>
#include <format>
#include <mutex>

namespace consign::oci::testing {

struct Quirks {
    bool ignores_range = false;      ///< 200 and all of it
    bool says_no_digest = false;     ///< no Docker-Content-Digest
    bool has_referrers_api = true;   ///< also: says OCI-Subject
    bool keeps_first_chunk = false;  ///< drops later ones, answers 201 all the same
    bool refuses_whole = false;      ///< 413 to the one PUT
    bool needs_chunks_of = false;    ///< says OCI-Chunk-Min-Length of 20 MiB
    bool absolute_location = false;  ///< and with a query in it
    bool fallback_is_image = false;  ///< the tag sha256-… is the image itself (GitLab)
    bool mounts = true;              ///< 201 to a mount
    bool refuses_mount = false;      ///< 403 to it
    bool token_by_post_only = false; ///< 405 to GET at the token service
    int refuse_first = 0;            ///< so many requests get 503 with Retry-After: 0
    int status_of_refusal = 503;
    std::size_t break_download_at = 0;  ///< GET of a blob ends after so many bytes, each time
    std::size_t break_upload_at = 0;    ///< the first upload ends with 503 after so many bytes
    std::string token = {};             ///< wanted as bearer
    std::string redirect_blobs_to = {}; ///< origin
};

/// `text` from `offset`, breaking off after `at` bytes.
class BreakingSource final : public net::Source {
  public:
    BreakingSource(std::string text, std::size_t at) : text_(std::move(text)), at_(at) {}
    net::Async<Result<std::size_t>> read(std::span<std::byte> into) override {
        if (done_ >= at_) co_return fail(Code::internal, "broken on purpose");
        const auto count = std::min({into.size(), text_.size() - done_, at_ - done_});
        std::memcpy(into.data(), text_.data() + done_, count);
        done_ += count;
        co_return count;
    }

  private:
    std::string text_;
    std::size_t at_, done_ = 0;
};

class FakeRegistry {
  public:
    struct Asked {
        std::string verb, path, query, authorization, range, content_range;
        std::uint64_t body = 0;
    };
    Quirks quirks;
    std::map<std::string, std::string> blobs; ///< by digest
    std::map<std::string, std::pair<std::string, std::string>>
        manifests; ///< type and body, by tag and digest
    std::map<std::string, std::string> uploads;
    std::string scope_asked, grant_asked;

    FakeRegistry() {
        server_ = std::move(
            net::Server::bind({}, [this](net::Request& request) { return handle(this, request); }).value());
        server_->start();
    }
    ~FakeRegistry() { server_->drain(std::chrono::seconds(1)); }

    std::string base() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
    std::vector<Asked> asked() const {
        const std::lock_guard lock(mutex_);
        return asked_;
    }
    std::size_t count(std::string_view verb, std::string_view part) const {
        std::size_t out = 0;
        for (const auto& one : asked())
            out += one.verb == verb && (one.path + "?" + one.query).contains(part);
        return out;
    }
    void forget() {
        const std::lock_guard lock(mutex_);
        asked_.clear();
    }

  private:
    using Response = net::Response;

    static std::string joined(const net::Query& query) {
        std::string out;
        for (const auto& [name, value] : query.items()) out += (out.empty() ? "" : "&") + name + "=" + value;
        return out;
    }

    static net::Async<Response> handle(FakeRegistry* self, net::Request& request) {
        auto& q = self->quirks;
        Asked asked{.verb = std::string(net::name_of(request.verb)),
                    .path = request.path,
                    .query = joined(request.query),
                    .authorization = std::string(request.headers.get("Authorization")),
                    .range = std::string(request.headers.get("Range")),
                    .content_range = std::string(request.headers.get("Content-Range")),
                    .body = 0};
        // What breaks an upload has to stop reading it.
        const bool uploading =
            request.path.contains("/blobs/uploads/") && request.content_length.value_or(0) > 0;
        std::string body;
        bool broke = false;
        if (uploading && q.break_upload_at > 0) {
            body.resize(std::exchange(q.break_upload_at, 0));
            const auto got = co_await read_full(*request.body, std::as_writable_bytes(std::span(body)));
            body.resize(got.size);
            broke = true;
        } else if (auto all = co_await net::read_all(*request.body, 64u << 20)) {
            body = std::move(*all);
        }
        asked.body = body.size();
        {
            const std::lock_guard lock(self->mutex_);
            self->asked_.push_back(asked);
        }
        if (q.refuse_first > 0) {
            --q.refuse_first;
            auto response = Response::empty(q.status_of_refusal);
            response.headers.set("Retry-After", "0");
            co_return response;
        }
        if (request.path == "/token") co_return self->token(request, body);
        if (!q.token.empty() && asked.authorization != "Bearer " + q.token) {
            auto response = Response::empty(401);
            response.headers.set("WWW-Authenticate",
                                 "Bearer realm=\"" + self->base() + "/token\",service=\"fake\"");
            co_return response;
        }
        const auto path = std::string_view(request.path);
        if (path == "/v2/") co_return Response::json(200, "{}");
        if (path.contains("/manifests/")) co_return self->manifest(request, body);
        if (path.contains("/referrers/"))
            co_return self->referrers(std::string(path.substr(path.rfind('/') + 1)));
        if (path.contains("/blobs/uploads/")) co_return self->upload(request, std::move(body), broke);
        if (path.contains("/blobs/")) co_return self->blob(request);
        co_return Response::empty(404);
    }

    Response token(const net::Request& request, const std::string& body) {
        if (quirks.token_by_post_only && request.verb == net::Verb::get) return Response::empty(405);
        const auto form = net::Query::parse(body);
        scope_asked = request.query.get_or("scope", form.get_or("scope", ""));
        grant_asked = form.get_or("grant_type", "");
        const bool good =
            request.headers.get("Authorization") == "Basic " + to_base64(as_bytes("owner:secret")) ||
            (form.get_or("password", "") == "secret" && form.get_or("username", "") == "owner") ||
            form.get_or("refresh_token", "") == "refresh";
        if (!good) return Response::json(400, R"({"error":"invalid_grant"})");
        return Response::json(200, R"({"access_token":")" + quirks.token + R"("})");
    }

    Response manifest(const net::Request& request, const std::string& body) {
        const auto key = request.path.substr(request.path.rfind('/') + 1);
        if (request.verb == net::Verb::put) {
            const auto digest = Digest::sha256_of(body).str();
            const std::string type(request.headers.get("Content-Type"));
            manifests[key] = manifests[digest] = {type, body};
            auto response = Response::empty(201);
            if (!quirks.says_no_digest) response.headers.set("Docker-Content-Digest", digest);
            const auto parsed = Manifest::parse(body, type);
            if (quirks.has_referrers_api && parsed && parsed->subject)
                response.headers.set("OCI-Subject", parsed->subject->digest.str());
            return response;
        }
        auto found = manifests.find(key);
        if (quirks.fallback_is_image && key.starts_with("sha256-"))
            found = manifests.find("sha256:" + key.substr(7));
        if (found == manifests.end()) return Response::empty(404);
        Response response{.status = 200, .headers = {}, .body = found->second.second};
        response.headers.set("Content-Type", found->second.first);
        if (!quirks.says_no_digest)
            response.headers.set("Docker-Content-Digest", Digest::sha256_of(found->second.second).str());
        return response;
    }

    Response referrers(const std::string& subject) {
        if (!quirks.has_referrers_api) return Response::empty(404);
        auto list = json::Value::array();
        for (const auto& [key, manifest] : manifests) {
            const auto parsed = Manifest::parse(manifest.second, manifest.first);
            if (!key.starts_with("sha256:") || !parsed || !parsed->subject ||
                parsed->subject->digest.str() != subject)
                continue;
            list.push_back(
                {{"mediaType", manifest.first}, {"digest", key}, {"size", manifest.second.size()}});
        }
        return Response::json(
            200, json::dump({{"schemaVersion", 2}, {"mediaType", media::kImageIndex}, {"manifests", list}}));
    }

    Response blob(const net::Request& request) {
        const auto key = request.path.substr(request.path.rfind('/') + 1);
        const auto found = blobs.find(key);
        if (found == blobs.end()) return Response::empty(404);
        if (!quirks.redirect_blobs_to.empty() && request.verb == net::Verb::get) {
            auto response = Response::empty(307);
            response.headers.set("Location", quirks.redirect_blobs_to + request.path + "?signature=x");
            return response;
        }
        auto text = found->second;
        Response response{.status = 200, .headers = {}, .body = {}};
        const auto range = request.headers.get("Range");
        if (range.starts_with("bytes=") && !quirks.ignores_range) {
            const auto offset = std::stoull(std::string(range.substr(6)));
            response.status = 206;
            response.headers.set("Content-Range",
                                 std::format("bytes {}-{}/{}", offset, text.size() - 1, text.size()));
            text.erase(0, offset);
        }
        const auto size = text.size();
        if (quirks.break_download_at > 0 && request.verb == net::Verb::get)
            response.body = net::StreamBody{
                .source = std::make_shared<BreakingSource>(std::move(text), quirks.break_download_at),
                .size = size};
        else
            response.body = std::move(text);
        return response;
    }

    Response upload(const net::Request& request, std::string body, bool broke) {
        const auto repository = request.path.substr(0, request.path.find("/blobs/"));
        if (request.verb == net::Verb::post) {
            if (request.query.get("mount")) {
                if (quirks.refuses_mount) return Response::empty(403);
                if (quirks.mounts && blobs.contains(request.query.get_or("mount", "")))
                    return Response::empty(201);
            }
            const auto id = "u" + std::to_string(++last_);
            uploads[id];
            auto response = located(202, repository, id);
            if (quirks.needs_chunks_of) response.headers.set("OCI-Chunk-Min-Length", "20971520");
            return response;
        }
        const auto id = request.path.substr(request.path.rfind('/') + 1);
        const auto found = uploads.find(id);
        if (found == uploads.end()) return Response::empty(404);
        auto& content = found->second;
        if (quirks.absolute_location && request.query.get_or("state", "") != std::to_string(content.size()))
            return Response::empty(416);
        if (request.verb == net::Verb::get) return located(204, repository, id);
        const bool whole = request.verb == net::Verb::put && !body.empty();
        if (quirks.refuses_whole && whole) return Response::empty(413);
        if (!quirks.keeps_first_chunk || content.empty()) content += body;
        if (broke) return Response::empty(503);
        if (request.verb == net::Verb::patch) return located(202, repository, id);
        const auto wanted = request.query.get_or("digest", "");
        if (Digest::sha256_of(content).str() != wanted) {
            if (!quirks.keeps_first_chunk) return Response::empty(400);
            uploads.erase(found); // and says 201
            return Response::empty(201);
        }
        blobs[wanted] = content;
        uploads.erase(id);
        return Response::empty(201);
    }

    Response located(int status, const std::string& repository, const std::string& id) {
        auto response = Response::empty(status);
        const auto size = uploads[id].size();
        auto location = repository + "/blobs/uploads/" + id;
        if (quirks.absolute_location) location = base() + location + "?state=" + std::to_string(size);
        response.headers.set("Location", location);
        response.headers.set("Range", std::format("0-{}", size > 0 ? size - 1 : 0));
        return response;
    }

    mutable std::mutex mutex_;
    std::vector<Asked> asked_;
    int last_ = 0;
    std::unique_ptr<net::Server> server_;
};

/// A client of fakes; retries do not wait.
struct FakeClient {
    net::IoThread io;
    std::unique_ptr<net::Client> http = io.run(make(io.executor())).value();
    ~FakeClient() { (void)io.run(drop(&http)); }

    RemoteOptions options(const FakeRegistry& registry) const {
        RemoteOptions out{.registry = net::Url::parse(registry.base()).value()};
        out.username = "owner";
        out.retry = {
            .attempts = 4, .base = std::chrono::milliseconds(1), .cap = std::chrono::milliseconds(2)};
        return out;
    }
    std::unique_ptr<Repository> open(const FakeRegistry& registry, std::string name = "some/where") {
        return open_remote(*http, options(registry), std::move(name));
    }

  private:
    static net::Async<Result<std::unique_ptr<net::Client>>> make(net::Executor executor) {
        co_return std::make_unique<net::Client>(executor);
    }
    static net::Async<Result<bool>> drop(std::unique_ptr<net::Client>* client) {
        client->reset();
        co_return true;
    }
};

} // namespace consign::oci::testing
