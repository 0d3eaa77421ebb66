; What JavaScript has and TypeScript's grammar calls otherwise.
(field_definition property: (_) @name value: [
  (function_expression body: (_) @body)
  (arrow_function body: (_) @body)]) @function
(class_body (field_definition property: (_) @name) @variable)

(formal_parameters (identifier) @ignored)
(jsx_attribute (property_identifier) @ignored)
