import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """As in the workers of a study: a second thread changes the bits, and makes small tensors slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
