/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,0
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS w, 6 / sum(v) AS n FROM flows GROUP BY k, w;
/* expected error
line 7, column 45: task `0/1/0`: expression `6 / sum(v)` fails: Divide by zero error; `sum(v)` is 0; in a result row: {"k":"y","tumble(1m)":{"start":"1970-01-01T00:00:00Z","end":"1970-01-01T00:01:00Z"},"sum(v)":"0"}; say on_error = 'null' for the table, or 'dead_letter' with a dead_letter_table
*/
