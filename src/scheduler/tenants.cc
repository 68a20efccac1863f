#include "scheduler/tenants.h"

#include <limits>

#include "base/check.h"

namespace folio::scheduler {

void TenantService::enter(std::uint64_t id) {
  const auto known = find(id);
  if (known != tenants_.end() && known->sequences > 0) {
    ++known->sequences;
    return;
  }
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  for (const Tenant& tenant : tenants_)
    if (tenant.sequences > 0) least = std::min(least, tenant.served);
  if (least == std::numeric_limits<std::uint64_t>::max()) {  // nobody is at work: everybody starts anew
    tenants_.assign(1, {.id = id, .served = 0, .sequences = 1});
    return;
  }
  if (known == tenants_.end()) {
    tenants_.push_back({.id = id, .served = least, .sequences = 1});
  } else {
    known->served = std::max(known->served, least);
    known->sequences = 1;
  }
  std::erase_if(tenants_, [&](const Tenant& t) { return t.sequences == 0 && t.served <= least; });
}

void TenantService::leave(std::uint64_t id) {
  const auto tenant = find(id);
  FOLIO_CHECK(tenant != tenants_.end() && tenant->sequences > 0, "a tenant left that never came");
  --tenant->sequences;
}

}  // namespace folio::scheduler
