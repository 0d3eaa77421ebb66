; Definitions. A block of members is one too; its members are named after its type.
(struct_item name: (_) @name body: (field_declaration_list) @body) @class
(struct_item name: (_) @name) @class
(union_item name: (_) @name body: (_) @body) @class
(enum_item name: (_) @name body: (_) @body) @class
(trait_item name: (_) @name body: (_) @body) @class
(impl_item type: (_) @owner @name body: (declaration_list) @body) @class
(mod_item name: (_) @name body: (declaration_list) @body) @module
(function_item name: (_) @name body: (block) @body) @function
(function_signature_item name: (_) @name) @function
(macro_definition name: (_) @name "{") @function @body
(macro_definition name: (_) @name) @function
(const_item name: (_) @name) @variable
(static_item name: (_) @name) @variable
(type_item name: (_) @name) @variable
(associated_type name: (_) @name) @variable
(enum_variant name: (_) @name body: (field_declaration_list) @body) @class
(enum_variant name: (_) @name) @variable
(field_declaration name: (_) @name) @variable

(attribute_item) @attached
(line_comment) @attached
(block_comment) @attached

(use_declaration) @import
(extern_crate_declaration) @import
(mod_item !body) @import

; Uses of names: every identifier but those that only introduce a name.
(identifier) @reference
(type_identifier) @reference
(field_identifier) @reference
(shorthand_field_identifier) @reference
(parameter pattern: (identifier) @ignored)
(closure_parameters (identifier) @ignored)
(let_declaration pattern: (identifier) @ignored)
(for_expression pattern: (identifier) @ignored)
(tuple_pattern (identifier) @ignored)
(mut_pattern (identifier) @ignored)
(ref_pattern (identifier) @ignored)
(field_declaration name: (field_identifier) @ignored)
(enum_variant name: (identifier) @ignored)
(const_item name: (identifier) @ignored)
(static_item name: (identifier) @ignored)
(type_item name: (type_identifier) @ignored)
(lifetime (identifier) @ignored)
(type_parameter name: (type_identifier) @ignored)
