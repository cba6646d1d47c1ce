/* input flows
1970-01-01 00:00:01,x,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows TABLESAMPLE BERNOULLI (10);
/* expected error
line 6, column 21: TABLESAMPLE is not supported; filter rows in WHERE instead
*/
