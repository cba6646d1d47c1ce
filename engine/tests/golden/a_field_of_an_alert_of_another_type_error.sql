CREATE TABLE verdicts (te TIMESTAMP, k TEXT, WATERMARK FOR te) WITH (connector = 'test', format = 'csv');
SELECT alert_ocsf(named_struct('id', k, 'rule', 'r', 'time', k)) AS alert FROM verdicts;
/* expected error
line 2, column 8: `alert_ocsf`: field `time` is TIMESTAMP, not TEXT; CAST it, or give another column
*/
