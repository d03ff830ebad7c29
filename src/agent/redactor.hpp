#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace consign::agent {

/// Replaces secrets in text by "(redacted)". Pure; not thread-safe.
///
/// A stream is fed in pieces of any size and comes out in whole lines, so that a secret cut in two by a pipe
/// is found. A line longer than kLongestLine comes out in parts; the last bytes, which may be the start of a
/// secret, wait for what follows. Overlapping secrets become one "(redacted)".
class Redactor {
  public:
    static constexpr std::size_t kShortest = 4;            ///< shorter secrets would eat ordinary words
    static constexpr std::size_t kLongestLine = 64 * 1024; ///< bytes held back while waiting for a newline
    static constexpr std::string_view kMark = "(redacted)";

    /// From now on. A secret of several lines is also hidden line by line.
    void add(std::string_view secret);
    /// Appends to the stream; returns what may leave now.
    std::string feed(std::string_view text);
    /// The rest of the stream.
    std::string finish();
    /// A text by itself: a step's detail, an error.
    std::string redact(std::string_view text) const;

  private:
    struct Span {
        std::size_t begin, end;
    };
    std::vector<Span> spans(std::string_view text, std::size_t known) const;
    std::string cut(std::size_t size);
    void remember(std::string_view secret);

    std::vector<std::string> secrets_; ///< longest first
    std::string held_;                 ///< the line so far
    /// That many bytes at the start of `held_` belong to a secret whose mark has left already.
    std::size_t marked_ = 0;
};

} // namespace consign::agent
