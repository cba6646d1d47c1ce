/* input flows
1970-01-01 00:00:01,x,1
bad> b> 1970-01-01 00:00:02,y,two
1970-01-01 00:00:03,z,3
bad> 1970-01-01 00:00:04
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', dead_letter_table = 'dead_letters');
CREATE TABLE dead_letters (reason TEXT, detail TEXT, split TEXT, position BIGINT, value TEXT) WITH (connector = 'sink');
SELECT ts, k, v FROM flows;
/* expected counts
bad records, too_short: 1
bad records, wrong_type: 1
*/
/* expected dead_letters
too_short | 1 columns, the query needs 3 | 0 | 2 | 1970-01-01 00:00:04
wrong_type | column `v`: `two` is no Int64 | b | 0 | 1970-01-01 00:00:02,y,two
*/
/* expected results
1970-01-01T00:00:01 | x | 1
1970-01-01T00:00:03 | z | 3
*/
