// What the socket library does not tell of a socket.
//
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <string>

namespace folio::platform {

// The other side sends nothing any more, though not all that it sent may have been read. `socket`: an open
// descriptor.
bool input_has_ended(int socket);

// Whether something listens on this Unix socket. False also for a path that is no socket, or none at all.
bool answers_at(const std::string& path);

// Which file a path names: another one of the same name is another identity. All zero: there is none.
struct FileIdentity {
  std::uint64_t device = 0, inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
FileIdentity identity_of(const std::string& path);

}  // namespace folio::platform
