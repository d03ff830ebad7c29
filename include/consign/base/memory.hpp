#pragma once

namespace consign {

/// Gives memory back that an idle process does not need: free heap pages, and the pages of the program's own code and
/// constants, which come back from the page cache one fault at a time as they are used again. Starting up and running
/// a job touch most of the program; waiting for the next one touches little of it. Takes about a millisecond. Any
/// thread; never fails, at worst nothing is given back.
void release_idle_memory() noexcept;

} // namespace consign
