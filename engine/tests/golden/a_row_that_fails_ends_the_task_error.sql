/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,0
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW shares AS SELECT ts, k,
  100 / v AS share FROM flows;
SELECT k, tumble(INTERVAL '1 minute') AS w, sum(share) AS n FROM shares GROUP BY k, w;
/* expected error
line 8, column 3: task `0/0/0`: expression `100 / v` fails: Divide by zero error; `v` is 0; in `0`, read from position 1: {"ts":"1970-01-01T00:00:02Z","k":"y","v":0}; say on_error = 'null' for the table, or 'dead_letter' with a dead_letter_table
*/
