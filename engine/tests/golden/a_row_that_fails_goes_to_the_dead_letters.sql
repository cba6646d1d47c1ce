/* input flows
1970-01-01 00:00:01,x,1
bad> 1970-01-01 00:00:02,y,0
1970-01-01 00:00:03,z,4
bad> 1970-01-01 00:00:04,q,0
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', dead_letter_table = 'dead_letters', on_error = 'dead_letter');
CREATE TABLE dead_letters (reason TEXT, detail TEXT, split TEXT, position BIGINT, value TEXT) WITH (connector = 'sink');
SELECT ts, k, 100 / v AS share FROM flows WHERE k <> '-';
/* expected dead_letters
division_by_zero | expression `100 / v` (line 10, column 15): Divide by zero error; `v` is 0 | 0 | 1 | {"ts":"1970-01-01T00:00:02Z","k":"y","v":0}
division_by_zero | expression `100 / v` (line 10, column 15): Divide by zero error; `v` is 0 | 0 | 3 | {"ts":"1970-01-01T00:00:04Z","k":"q","v":0}
*/
/* expected results
1970-01-01T00:00:01 | x | 100
1970-01-01T00:00:03 | z | 25
*/
