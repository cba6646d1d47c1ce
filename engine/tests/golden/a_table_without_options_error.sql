CREATE TABLE flows (ts TIMESTAMP);
SELECT ts FROM flows;
/* expected error
line 1, column 34: expected: WITH, found: ;
*/
