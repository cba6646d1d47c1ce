/* input verdicts
1970-01-01 00:15:00,97
*/
CREATE TABLE verdicts (te TIMESTAMP, k DOUBLE, WATERMARK FOR te) WITH (connector = 'test', format = 'csv', on_error = 'fail');
SELECT alert_ecs(named_struct('id', 'i', 'rule', 'r', 'time', te, 'confidence', k)) AS alert FROM verdicts;
/* expected error
line 5, column 8: task `0/0/0`: expression `alert_ecs(named_struct('id', 'i', 'rule', 'r', 'time', te, 'confidence', k))` fails: alert_ecs: confidence 97 is not from 0 to 1, as models give it; `named_struct(id, i, rule, r, time, te, confidence, k)` is {id: i, rule: r, time: 1970-01-01T00:15:00, confidence: 97.0}; in `0`, read from position 0: {"te":"1970-01-01T00:15:00Z","k":97.0}; say on_error = 'null' for the table, or 'dead_letter' with a dead_letter_table
*/
