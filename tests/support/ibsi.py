"""The digital phantom of the Image Biomarker Standardisation Initiative, and the consensus values for it.

Phantom: IBSI reference manual (arXiv:1612.07003), 5.1; CC BY 4.0. Values: the initiative's compliance table, rounded to
three digits as there; those that do not depend on a matrix have the tolerance of the table.
"""

import numpy as np

from firstread.imaging.volume import Volume

PHANTOM = np.array(
    [
        [[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [0, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
        [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 6, 1, 1]],
        [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]],
    ],
    dtype=np.int16,
)
"""Slices x rows x columns, 2 mm each; 0 is outside the region."""


def phantom() -> Volume:
    return Volume(PHANTOM, np.diag([2.0, 2.0, 2.0, 1.0]), ())


def _table(text: str) -> dict[str, float]:
    words = text.split()
    return {name: float(value) for name, value in zip(words[::2], words[1::2], strict=True)}


SHAPE = _table(
    "volume 556 vol_approx 592 area_mesh 388 av 0.698 comp_1 0.0411 comp_2 0.599 sph_dispr 1.19 sphericity 0.843 "
    "asphericity 0.186 com 0.672 diam 13.1 pca_maj_axis 11.4 pca_min_axis 9.31 pca_least_axis 8.54 "
    "pca_elongation 0.816 pca_flatness 0.749 vol_dens_aabb 0.869 area_dens_aabb 0.866 vol_dens_aee 1.17 "
    "area_dens_aee 1.36 vol_dens_conv_hull 0.961 area_dens_conv_hull 1.03 integ_int 1200"
)
SHAPE_TOLERANCES = _table(
    "volume 4 vol_approx 4 area_mesh 3 av 0.004 comp_1 0.0003 comp_2 0.004 sph_dispr 0.01 sphericity 0.005 "
    "asphericity 0.001 com 0.004 diam 0.1 pca_maj_axis 0.1 pca_min_axis 0.06 pca_least_axis 0.05 "
    "pca_elongation 0.005 pca_flatness 0.005 vol_dens_aabb 0.005 area_dens_aabb 0.005 vol_dens_aee 0.01 "
    "area_dens_aee 0.01 vol_dens_conv_hull 0.006 area_dens_conv_hull 0.01 integ_int 10"
)
INTENSITY = _table(
    "stat_mean 2.15 stat_var 3.05 stat_skew 1.08 stat_kurt -0.355 stat_median 1 stat_min 1 stat_p10 1 stat_p90 4 "
    "stat_max 6 stat_iqr 3 stat_range 5 stat_mad 1.55 stat_rmad 1.11 stat_medad 1.15 stat_cov 0.812 stat_qcod 0.6 "
    "stat_energy 567 stat_rms 2.77 "
    "ih_mean 2.15 ih_var 3.05 ih_skew 1.08 ih_kurt -0.355 ih_median 1 ih_min 1 ih_p10 1 ih_p90 4 ih_max 6 ih_mode 1 "
    "ih_iqr 3 ih_range 5 ih_mad 1.55 ih_rmad 1.11 ih_medad 1.15 ih_cov 0.812 ih_qcod 0.6 ih_entropy 1.27 "
    "ih_uniformity 0.512 ih_max_grad 8 ih_max_grad_gl 3 ih_min_grad -50 ih_min_grad_gl 1"
)
TEXTURE = _table(
    "cm_joint_max_3D_avg 0.503 cm_joint_avg_3D_avg 2.14 cm_joint_var_3D_avg 3.1 cm_joint_entr_3D_avg 2.4 "
    "cm_diff_avg_3D_avg 1.43 cm_diff_var_3D_avg 3.06 cm_diff_entr_3D_avg 1.56 cm_sum_avg_3D_avg 4.29 "
    "cm_sum_var_3D_avg 7.07 cm_sum_entr_3D_avg 1.92 cm_energy_3D_avg 0.303 cm_contrast_3D_avg 5.32 "
    "cm_dissimilarity_3D_avg 1.43 cm_inv_diff_3D_avg 0.677 cm_inv_diff_norm_3D_avg 0.851 "
    "cm_inv_diff_mom_3D_avg 0.618 cm_inv_diff_mom_norm_3D_avg 0.898 cm_inv_var_3D_avg 0.0604 cm_corr_3D_avg 0.157 "
    "cm_auto_corr_3D_avg 5.06 cm_clust_tend_3D_avg 7.07 cm_clust_shade_3D_avg 16.6 cm_clust_prom_3D_avg 145 "
    "cm_info_corr1_3D_avg -0.157 cm_info_corr2_3D_avg 0.52 "
    "cm_joint_max_3D_comb 0.509 cm_joint_avg_3D_comb 2.15 cm_joint_var_3D_comb 3.13 cm_joint_entr_3D_comb 2.57 "
    "cm_diff_avg_3D_comb 1.38 cm_diff_var_3D_comb 3.21 cm_diff_entr_3D_comb 1.64 cm_sum_avg_3D_comb 4.3 "
    "cm_sum_var_3D_comb 7.41 cm_sum_entr_3D_comb 2.11 cm_energy_3D_comb 0.291 cm_contrast_3D_comb 5.12 "
    "cm_dissimilarity_3D_comb 1.38 cm_inv_diff_3D_comb 0.688 cm_inv_diff_norm_3D_comb 0.856 "
    "cm_inv_diff_mom_3D_comb 0.631 cm_inv_diff_mom_norm_3D_comb 0.902 cm_inv_var_3D_comb 0.0574 "
    "cm_corr_3D_comb 0.183 cm_auto_corr_3D_comb 5.19 cm_clust_tend_3D_comb 7.41 cm_clust_shade_3D_comb 17.4 "
    "cm_clust_prom_3D_comb 147 cm_info_corr1_3D_comb -0.0288 cm_info_corr2_3D_comb 0.269 "
    "rlm_sre_3D_avg 0.705 rlm_lre_3D_avg 3.06 rlm_lgre_3D_avg 0.603 rlm_hgre_3D_avg 9.7 rlm_srlge_3D_avg 0.352 "
    "rlm_srhge_3D_avg 8.54 rlm_lrlge_3D_avg 2.39 rlm_lrhge_3D_avg 17.6 rlm_glnu_3D_avg 21.8 "
    "rlm_glnu_norm_3D_avg 0.43 rlm_rlnu_3D_avg 26.9 rlm_rlnu_norm_3D_avg 0.513 rlm_r_perc_3D_avg 0.68 "
    "rlm_gl_var_3D_avg 3.46 rlm_rl_var_3D_avg 0.574 rlm_rl_entr_3D_avg 2.43 "
    "rlm_sre_3D_comb 0.729 rlm_lre_3D_comb 2.76 rlm_lgre_3D_comb 0.607 rlm_hgre_3D_comb 9.64 "
    "rlm_srlge_3D_comb 0.372 rlm_srhge_3D_comb 8.67 rlm_lrlge_3D_comb 2.16 rlm_lrhge_3D_comb 15.6 "
    "rlm_glnu_3D_comb 281 rlm_glnu_norm_3D_comb 0.43 rlm_rlnu_3D_comb 328 rlm_rlnu_norm_3D_comb 0.501 "
    "rlm_r_perc_3D_comb 0.68 rlm_gl_var_3D_comb 3.48 rlm_rl_var_3D_comb 0.598 rlm_rl_entr_3D_comb 2.62 "
    "szm_sze_3D 0.255 szm_lze_3D 550 szm_lgze_3D 0.253 szm_hgze_3D 15.6 szm_szlge_3D 0.0256 szm_szhge_3D 2.76 "
    "szm_lzlge_3D 503 szm_lzhge_3D 1490 szm_glnu_3D 1.4 szm_glnu_norm_3D 0.28 szm_zsnu_3D 1 szm_zsnu_norm_3D 0.2 "
    "szm_z_perc_3D 0.0676 szm_gl_var_3D 2.64 szm_zs_var_3D 331 szm_zs_entr_3D 2.32 "
    "dzm_sde_3D 1 dzm_lde_3D 1 dzm_lgze_3D 0.253 dzm_hgze_3D 15.6 dzm_sdlge_3D 0.253 dzm_sdhge_3D 15.6 "
    "dzm_ldlge_3D 0.253 dzm_ldhge_3D 15.6 dzm_glnu_3D 1.4 dzm_glnu_norm_3D 0.28 dzm_zdnu_3D 5 dzm_zdnu_norm_3D 1 "
    "dzm_z_perc_3D 0.0676 dzm_gl_var_3D 2.64 dzm_zd_var_3D 0 dzm_zd_entr_3D 1.92 "
    "ngt_coarseness_3D 0.0296 ngt_contrast_3D 0.584 ngt_busyness_3D 6.54 ngt_complexity_3D 13.5 "
    "ngt_strength_3D 0.763 "
    "ngl_lde_3D 0.045 ngl_hde_3D 109 ngl_lgce_3D 0.693 ngl_hgce_3D 7.66 ngl_ldlge_3D 0.00963 ngl_ldhge_3D 0.736 "
    "ngl_hdlge_3D 102 ngl_hdhge_3D 235 ngl_glnu_3D 37.9 ngl_glnu_norm_3D 0.512 ngl_dcnu_3D 4.86 "
    "ngl_dcnu_norm_3D 0.0657 ngl_dc_perc_3D 1 ngl_gl_var_3D 3.05 ngl_dc_var_3D 22.1 ngl_dc_entr_3D 4.4 "
    "ngl_dc_energy_3D 0.0533"
)
