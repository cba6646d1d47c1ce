CREATE TABLE IF NOT EXISTS flows (k TEXT) WITH (connector = 'test', format = 'csv');
SELECT k FROM flows;
/* expected error
line 1, column 17: expected: WITH, found: NOT
*/
