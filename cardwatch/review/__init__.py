"""What analysts found of the customers on the lists, and what is learnt from it."""
