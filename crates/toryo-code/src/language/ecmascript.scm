; What JavaScript, TypeScript and TSX share.
(class_declaration name: (_) @name body: (class_body) @body) @class
(export_statement "default" @name value: (class body: (class_body) @body)) @class
(_ (variable_declarator name: (identifier) @name value: (class body: (class_body) @body))) @class

(function_declaration name: (_) @name body: (statement_block) @body) @function
(generator_function_declaration name: (_) @name body: (statement_block) @body) @function
(method_definition name: (_) @name body: (statement_block) @body) @function
(export_statement "default" @name value: [
  (function_expression body: (_) @body)
  (generator_function body: (_) @body)
  (arrow_function body: (_) @body)]) @function
(_ (variable_declarator name: (identifier) @name value: [
  (function_expression body: (_) @body)
  (generator_function body: (_) @body)
  (arrow_function body: (_) @body)])) @function

; Functions that are assigned to a member: `Type.prototype.name = …`, `exports.name = …`.
(expression_statement (assignment_expression
  left: (member_expression
    object: (member_expression object: (_) @owner property: (property_identifier) @_prototype)
    property: (property_identifier) @name)
  right: [
    (function_expression body: (_) @body)
    (generator_function body: (_) @body)
    (arrow_function body: (_) @body)])
  (#eq? @_prototype "prototype")) @function
(expression_statement (assignment_expression
  left: (member_expression object: [(identifier) (member_expression)] @owner property: (property_identifier) @name)
  right: [
    (function_expression body: (_) @body)
    (generator_function body: (_) @body)
    (arrow_function body: (_) @body)])) @function
(expression_statement (assignment_expression
  left: (member_expression object: (identifier) @owner property: (property_identifier) @name))
  (#any-of? @owner "module" "exports")) @variable

; Not in the head of a loop, whose variable is no definition of the file.
(program (_ (variable_declarator name: (identifier) @name)) @variable)
(export_statement (_ (variable_declarator name: (identifier) @name)) @variable)
(statement_block (_ (variable_declarator name: (identifier) @name)) @variable)
(program (_ (variable_declarator name: (object_pattern (shorthand_property_identifier_pattern) @name))) @variable)
(program (_ (variable_declarator name: (object_pattern (pair_pattern value: (identifier) @name)))) @variable)
(program (_ (variable_declarator name: (object_pattern
  (object_assignment_pattern left: (shorthand_property_identifier_pattern) @name)))) @variable)
(program (_ (variable_declarator name: (array_pattern (identifier) @name))) @variable)
(program (_ (variable_declarator name: (array_pattern (assignment_pattern left: (identifier) @name)))) @variable)
(export_statement "default" @name value: (object)) @variable

(export_statement declaration: (_) @inner) @outer
(comment) @attached

(import_statement) @import
(export_statement source: (_)) @import
(call_expression function: (identifier) @_require arguments: (arguments . (string))
  (#eq? @_require "require")) @import
(call_expression function: (import) arguments: (arguments . (string))) @import

; Uses of names: every identifier but those that only introduce a name.
(identifier) @reference
(property_identifier) @reference
(private_property_identifier) @reference
(shorthand_property_identifier) @reference
(pair key: (property_identifier) @ignored)
(arrow_function parameter: (identifier) @ignored)
(catch_clause parameter: (identifier) @ignored)
(variable_declarator name: (identifier) @ignored)
(assignment_pattern left: (identifier) @ignored)
(rest_pattern (identifier) @ignored)
(array_pattern (identifier) @ignored)
(pair_pattern key: (property_identifier) @ignored)
(pair_pattern value: (identifier) @ignored)
