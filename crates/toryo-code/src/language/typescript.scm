; What TypeScript adds to JavaScript.
(abstract_class_declaration name: (_) @name body: (class_body) @body) @class
(interface_declaration name: (_) @name body: (_) @body) @class
(enum_declaration name: (_) @name body: (enum_body) @body) @class
(type_alias_declaration name: (_) @name value: (object_type) @body) @class
(type_alias_declaration name: (_) @name) @variable
(internal_module name: (_) @name body: (statement_block) @body) @module
(module name: (_) @name body: (statement_block) @body) @module

(function_signature name: (_) @name) @function
(method_signature name: (_) @name) @function
(abstract_method_signature name: (_) @name) @function
(public_field_definition name: (_) @name value: [
  (function_expression body: (_) @body)
  (arrow_function body: (_) @body)]) @function
(class_body (public_field_definition name: (_) @name) @variable)
(interface_body (property_signature name: (_) @name) @variable)
(type_alias_declaration value: (object_type (property_signature name: (_) @name) @variable))
(enum_body name: (_) @name @variable)
(enum_body (enum_assignment name: (_) @name) @variable)

(ambient_declaration (_) @inner) @outer
(class_body (decorator) @attached)

(type_identifier) @reference
(required_parameter pattern: (identifier) @ignored)
(optional_parameter pattern: (identifier) @ignored)
(type_parameter name: (type_identifier) @ignored)
(property_signature name: (property_identifier) @ignored)
