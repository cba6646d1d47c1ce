CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows TABLESAMPLE BERNOULLI (10);
/* expected error
line 3, column 21: TABLESAMPLE is not supported; filter rows in WHERE instead
*/
