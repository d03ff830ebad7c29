#pragma once
#include "consign/net/http.hpp"
#include <map>
#include <string>
#include <vector>

namespace consign::net {

/// Finds which of a set of patterns ("/v1/jobs/{id}/complete") a path fits. A parameter matches one
/// non-empty segment and is percent-decoded. Immutable after the adds; any thread.
class Router {
  public:
    /// `index` is what match() gives back; patterns must differ (aborts otherwise: a bug).
    void add(Verb verb, std::string_view pattern, std::size_t index);

    struct Match {
        std::optional<std::size_t> index; ///< empty: no such path, or not with this verb
        std::vector<Verb> allowed;        ///< verbs the path has, when the verb did not fit (405)
        std::map<std::string, std::string, std::less<>> params;
    };
    Match match(Verb verb, std::string_view path) const;

  private:
    struct Entry {
        Verb verb;
        std::vector<std::string> segments;
        std::size_t index;
    };
    std::vector<Entry> entries_;
};

} // namespace consign::net
