CREATE TABLE flows (ts TIMESTAMP)
WITH (connector = 'test', format);
SELECT ts FROM flows;
/* expected error
line 2, column 33: expected: =, found: )
*/
