/* input flows
1970-01-01 00:00:01,x,3000000000
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE out (v INT) WITH (connector = 'sink');
INSERT INTO out SELECT v FROM flows;
/* expected error
Arrow error: Cast error: Can't cast value 3000000000 to type Int32
*/
