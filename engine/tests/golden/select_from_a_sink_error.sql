CREATE TABLE out (k TEXT, v BIGINT) WITH (connector = 'sink');
SELECT k FROM out;
/* expected error
line 2, column 15: table `out` can only be written to
*/
