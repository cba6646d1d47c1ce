CREATE TABLE verdicts (te TIMESTAMP, k TEXT, WATERMARK FOR te) WITH (connector = 'test', format = 'csv');
SELECT alert_tcam(k) AS alert FROM verdicts;
/* expected error
line 2, column 8: `alert_tcam` takes one struct; write alert_tcam(named_struct('window_start', …, 'window_end', …, …))
*/
