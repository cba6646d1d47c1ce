/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,x,one
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', bad_record = 'fail');
SELECT k, v FROM flows;
/* expected error
table `flows`: bad record in split `0` at position 1: column `v`: `one` is no Int64 (wrong_type); the table says bad_record = 'fail'; with 'drop' such records are counted and left out
*/
