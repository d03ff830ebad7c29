// The JSON bodies of the API, read as the server reads them: what is taken says the same after it was written and
// read again, and what is refused names what is wrong with it. The first byte chooses the type.
#include "consign/protocol/user_api.hpp"
#include <cstdlib>

using namespace consign;

namespace {

template <class T>
void read(std::string_view text) {
    const auto body = json::decode_text<T>(text, json::Unknown::refuse);
    if (!body) {
        if (body.error().code != Code::invalid_argument || body.error().message.empty()) std::abort();
        return;
    }
    const auto written = json::to_text(*body);
    const auto again = json::decode_text<T>(written, json::Unknown::refuse);
    if (!again || json::to_text(*again) != written) std::abort();
}

constexpr void (*kReaders[])(std::string_view) = {
    read<protocol::PollRequest>,         read<protocol::CompleteRequest>,     read<protocol::StepsRequest>,
    read<protocol::EnrollRequest>,       read<protocol::RotateKeyRequest>,    read<protocol::CreateDeployRequest>,
    read<protocol::CreateBuildsRequest>, read<protocol::CreateInstallRequest>, read<protocol::RecordBuildRequest>,
    read<protocol::DecideRequest>,       read<protocol::RunNowRequest>,       read<protocol::SetInputsRequest>,
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    kReaders[data[0] % std::size(kReaders)](
        std::string_view(reinterpret_cast<const char*>(data + 1), size - 1));
    return 0;
}
