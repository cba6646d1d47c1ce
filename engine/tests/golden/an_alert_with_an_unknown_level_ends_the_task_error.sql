/* input verdicts
1970-01-01 00:15:00,urgent
*/
CREATE TABLE verdicts (te TIMESTAMP, k TEXT, WATERMARK FOR te) WITH (connector = 'test', format = 'csv', on_error = 'fail');
SELECT alert_ecs(named_struct('id', k, 'rule', 'r', 'time', te, 'level', k)) AS alert FROM verdicts;
/* expected error
line 5, column 8: task `0/0/0`: expression `alert_ecs(named_struct('id', k, 'rule', 'r', 'time', te, 'level', k))` fails: alert_ecs: level `urgent` is none of `informational`, `low`, `medium`, `high` and `critical`; `named_struct(id, k, rule, r, time, te, level, k)` is {id: urgent, rule: r, time: 1970-01-01T00:15:00, level: urgent}; in `0`, read from position 0: {"te":"1970-01-01T00:15:00Z","k":"urgent"}; say on_error = 'null' for the table, or 'dead_letter' with a dead_letter_table
*/
