#pragma once
#include "consign/oci/registry_server.hpp"

namespace consign::oci {

/// What a grant allows for one action on one repository.
struct Access {
    bool whole = false;        ///< all of it
    std::vector<Digest> roots; ///< else only the closures of these
    bool any() const { return whole || !roots.empty(); }
};

inline Access access_to(const Grant& grant, std::string_view repository, Action action) {
    Access out;
    for (const auto& scope : grant.scopes) {
        if ((scope.repository != repository && scope.repository != "*") || !scope.actions.contains(action))
            continue;
        // A restriction is about reading: what is pushed is not in any closure yet.
        if (scope.only && action == Action::pull)
            out.roots.push_back(*scope.only);
        else
            out.whole = true;
    }
    return out;
}

} // namespace consign::oci
