CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
INSERT INTO flows
SELECT * FROM flows;
/* expected error
line 3, column 13: table `flows` can only be read; insert into a table with a sink connector
*/
