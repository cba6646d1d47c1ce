CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW
  flows AS SELECT 1 AS one;
SELECT k FROM flows;
/* expected error
line 4, column 3: `flows` is already defined; give it another name
*/
