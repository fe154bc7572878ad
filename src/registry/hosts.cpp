// SPDX-License-Identifier: Apache-2.0
#include "registry/hosts.h"

namespace erofs_oci::registry {

std::vector<Endpoint> endpoints_of(std::string_view host, bool insecure) {
  const std::string server(host == "docker.io" ? "registry-1.docker.io" : host);
  std::vector<Endpoint> endpoints{{"https://" + server}};
  if (insecure) endpoints.push_back({"http://" + server});
  return endpoints;
}

}  // namespace erofs_oci::registry
