// FOLIO_CHECK: states an invariant of our own code; a failure is a bug and ends the process.
// Nothing that comes from outside (a file, a request, a peer) may ever reach one: that is an Error
// (result.h).
#pragma once

namespace folio {

// Prints `file:line: check failed: condition (message)` on stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const char* message);

}  // namespace folio

#define FOLIO_CHECK(condition, message) \
  ((condition) ? (void)0 : ::folio::check_failed(__FILE__, __LINE__, #condition, message))

#ifdef NDEBUG
#define FOLIO_DCHECK(condition, message) ((void)0)
#else
#define FOLIO_DCHECK(condition, message) FOLIO_CHECK(condition, message)
#endif
