; Definitions. Assignments are taken at every depth; those inside functions are dropped by the outline.
(class_definition name: (identifier) @name body: (_) @body) @class
(function_definition name: (identifier) @name body: (_) @body) @function
(decorated_definition definition: (_) @inner) @outer
(expression_statement (assignment left: (identifier) @name)) @variable
(expression_statement (assignment left: (pattern_list (identifier) @name))) @variable
(expression_statement (assignment left: (tuple_pattern (identifier) @name))) @variable
(expression_statement (assignment right: (assignment left: (identifier) @name))) @variable
(type_alias_statement left: (type (identifier) @name)) @variable

(import_statement) @import
(import_from_statement) @import

; Uses of names: every identifier but those that only introduce a name.
(identifier) @reference
(parameters (identifier) @ignored)
(lambda_parameters (identifier) @ignored)
(default_parameter name: (identifier) @ignored)
(typed_default_parameter name: (identifier) @ignored)
(typed_parameter (identifier) @ignored)
(list_splat_pattern (identifier) @ignored)
(dictionary_splat_pattern (identifier) @ignored)
(keyword_argument name: (identifier) @ignored)
(assignment left: (identifier) @ignored)
(aliased_import alias: (identifier) @ignored)
(import_statement name: (dotted_name (identifier) @ignored))
(import_from_statement (dotted_name (identifier) @ignored))
(import_from_statement (relative_import (dotted_name (identifier) @ignored)))
(aliased_import name: (dotted_name (identifier) @ignored))

; No definition stands below these.
(expression_statement) @closed
(return_statement) @closed
(assert_statement) @closed
(raise_statement) @closed
(delete_statement) @closed
(parameters) @closed
(argument_list) @closed
(call) @closed
(comparison_operator) @closed
(boolean_operator) @closed
(import_statement) @closed
(import_from_statement) @closed
