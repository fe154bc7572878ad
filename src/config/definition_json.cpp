// SPDX-License-Identifier: Apache-2.0
#include "config/definition_json.h"

#include "config/codecs.h"
#include "config/definition_file.h"
#include "config/definition_schema.h"

namespace erofs_oci {

nlohmann::json to_json(const Definition& definition) {
  nlohmann::json object = write_settings(definition_settings(), definition);
  object["name"] = definition.name;
  return object;
}

Definition definition_from_json(const nlohmann::json& object) {
  Document document = flatten_json(object, "definition");
  const auto name = std::find_if(document.entries.begin(), document.entries.end(),
                                 [](const Entry& entry) { return entry.key == "name"; });
  if (name == document.entries.end()) document.refuse("name", "'name' is missing");
  Definition definition;
  definition.name = read_string(name->value);
  check_mount_name(definition.name);
  document.entries.erase(name);
  read_settings(definition_settings(), document, definition);
  check_definition(definition, document);
  return definition;
}

}  // namespace erofs_oci
