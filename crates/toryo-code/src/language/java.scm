; Definitions. The declarations of one statement share it.
(class_declaration name: (_) @name body: (_) @body) @class
(interface_declaration name: (_) @name body: (_) @body) @class
(enum_declaration name: (_) @name body: (_) @body) @class
(record_declaration name: (_) @name body: (_) @body) @class
(annotation_type_declaration name: (_) @name body: (_) @body) @class
(method_declaration name: (_) @name body: (_) @body) @function
(method_declaration name: (_) @name) @function
(constructor_declaration name: (_) @name body: (_) @body) @function
(compact_constructor_declaration name: (_) @name body: (_) @body) @function
(annotation_type_element_declaration name: (_) @name) @function
(field_declaration declarator: (variable_declarator name: (_) @name)) @variable
(constant_declaration declarator: (variable_declarator name: (_) @name)) @variable

(block_comment) @attached
(line_comment) @attached

(import_declaration) @import

; Uses of names: every identifier but those that only introduce a name.
(identifier) @reference
(type_identifier) @reference
(formal_parameter name: (identifier) @ignored)
(spread_parameter (variable_declarator name: (identifier) @ignored))
(variable_declarator name: (identifier) @ignored)
(catch_formal_parameter name: (identifier) @ignored)
(enhanced_for_statement name: (identifier) @ignored)
(resource name: (identifier) @ignored)
(inferred_parameters (identifier) @ignored)
(lambda_expression parameters: (identifier) @ignored)
(enum_constant name: (identifier) @ignored)
(element_value_pair key: (identifier) @ignored)
(package_declaration (_) @ignored)
(type_parameter (type_identifier) @ignored)
