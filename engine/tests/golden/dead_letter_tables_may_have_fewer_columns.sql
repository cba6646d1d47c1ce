/* input flows
1970-01-01 00:00:01,x,1
bad> 1970-01-01 00:00:02,y,two
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', bad_record = 'dead_letter', dead_letter_table = 'dead_letters');
CREATE TABLE dead_letters (value TEXT, reason TEXT) WITH (connector = 'sink');
CREATE TABLE out (k TEXT, v TEXT) WITH (connector = 'sink');
INSERT INTO out SELECT k, v FROM flows;
/* expected counts
bad records, wrong_type: 1
*/
/* expected dead_letters
1970-01-01 00:00:02,y,two | wrong_type
*/
/* expected out
x | 1
*/
