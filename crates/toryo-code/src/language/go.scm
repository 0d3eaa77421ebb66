; Definitions. One in parentheses is its own part of the declaration, one alone the whole of it.
(type_declaration "type" . (type_spec name: (_) @name type: (struct_type (field_declaration_list) @body))) @class
(type_declaration "type" . (type_spec name: (_) @name type: (interface_type) @body)) @class
(type_declaration "type" . (type_spec name: (_) @name)) @class
(type_declaration "type" . (type_alias name: (_) @name)) @variable
(type_declaration "(" (type_spec name: (_) @name type: (struct_type (field_declaration_list) @body)) @class)
(type_declaration "(" (type_spec name: (_) @name type: (interface_type) @body) @class)
(type_declaration "(" (type_spec name: (_) @name) @class)
(type_declaration "(" (type_alias name: (_) @name) @variable)
(method_elem name: (_) @name) @function
(function_declaration name: (_) @name body: (block) @body) @function
(function_declaration name: (_) @name) @function
(method_declaration
  receiver: (parameter_list (parameter_declaration type: [
    (type_identifier) @owner
    (pointer_type (type_identifier) @owner)
    (generic_type type: (type_identifier) @owner)
    (pointer_type (generic_type type: (type_identifier) @owner))]))
  name: (_) @name
  body: (block) @body) @function
(const_declaration "const" . (const_spec name: (identifier) @name)) @variable
(const_declaration "(" (const_spec name: (identifier) @name) @variable)
(var_declaration "var" . (var_spec name: (identifier) @name)) @variable
(var_spec_list (var_spec name: (identifier) @name) @variable)

(comment) @attached

(import_spec) @import

; Uses of names: every identifier but those that only introduce a name.
(identifier) @reference
(type_identifier) @reference
(field_identifier) @reference
(parameter_declaration name: (identifier) @ignored)
(variadic_parameter_declaration name: (identifier) @ignored)
(type_parameter_declaration name: (identifier) @ignored)
(short_var_declaration left: (expression_list (identifier) @ignored))
(range_clause left: (expression_list (identifier) @ignored))
(var_spec name: (identifier) @ignored)
(const_spec name: (identifier) @ignored)
(field_declaration name: (field_identifier) @ignored)
(package_clause (package_identifier) @ignored)
