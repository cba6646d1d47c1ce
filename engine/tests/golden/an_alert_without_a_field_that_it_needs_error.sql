CREATE TABLE verdicts (te TIMESTAMP, k TEXT, WATERMARK FOR te) WITH (connector = 'test', format = 'csv');
SELECT alert_cef(named_struct('rule', k, 'time', te)) AS alert FROM verdicts;
/* expected error
line 2, column 8: `alert_cef`: field `id` is missing; it needs `id`, `rule`, `time`
*/
