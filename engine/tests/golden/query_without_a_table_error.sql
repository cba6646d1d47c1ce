SELECT 1 AS one;
/* expected error
line 1, column 1: the query reads no table; add FROM with a source table
*/
