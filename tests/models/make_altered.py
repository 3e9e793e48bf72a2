#!/usr/bin/env python3
"""Writes tests/data/archs/altered-*.gguf and .npy: tiny random models that show what the models of
other programs do not (windows shorter than the text, more experts than used, groups, YaRN, rope
factors, parallel branches, both layouts of latent attention), with the logits of a forward pass
written here in NumPy, in double precision, from the descriptions of the architectures.

usage: make_altered.py [FOLDER [NAME]...]      (needs numpy and gguf)"""
import os
import sys

import numpy as np

from altered import (architectures_a_to_l, architectures_m_to_z, delta_nets,  # each fills CASES
                     special_layers, state_spaces)
from altered.forward import CASES

if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", "data", "archs")
    for name, make in CASES.items():
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        model, logits = make()
        model.save(os.path.join(folder, "altered-" + name), logits)
        print(name, float(np.abs(logits).max()))
